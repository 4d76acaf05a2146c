"""The update as a table of steps: job, context, steps, plan, run."""
