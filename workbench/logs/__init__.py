"""A log of questions, the facts that were shown with them and the answers: on which facts each answer hangs."""
