#include <stub/net_buf_body.h>
