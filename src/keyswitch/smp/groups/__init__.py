"""The SMP groups, one module each: ids, error codes, and how version 1 is told about errors."""
