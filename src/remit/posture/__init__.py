"""The condition of this deployment: facts, each true, false or unknown, and the grade that follows from them."""
