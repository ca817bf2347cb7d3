"""What each rule of the workflow does: one file a rule, the function that its script calls."""
