"""The language: SMP header, frames, framings and groups. Bytes in, values out."""
