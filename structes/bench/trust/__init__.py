"""What goes wrong, planted and watched: hosts that die, optimisers in a real tuning job."""
