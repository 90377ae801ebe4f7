"""What drives a run: plan, dispatch, watch, hand in, stop."""
