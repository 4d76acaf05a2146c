"""The operator: client, verdict, plan, upload, update; for any SMP device."""
