"""AgentDojo without a model: how many attacks would not run, and what it costs those who are not attacked."""
