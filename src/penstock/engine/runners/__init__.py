"""Where submitted steps are executed: in threads, or in processes of their own."""
