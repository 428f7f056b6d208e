"""What decides that runs exist and who executes them: deployments, the scheduler, workers, backfills, automations."""
