/* Ours. Read in subsys/mgmt/mcumgr/transport/include/mgmt/mcumgr/transport/smp_reassembly.h [A] [K] [L]. */
#ifndef STUB_SMP_REASSEMBLY_H
#define STUB_SMP_REASSEMBLY_H

struct smp_transport;
int smp_reassembly_drop(struct smp_transport *smpt);
void *smp_reassembly_get_ud(const struct smp_transport *smpt);

#endif
