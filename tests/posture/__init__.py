"""The condition of a deployment, and the grade that follows."""
