"""What the API has, one file for each kind of thing; each method says what is sent and what comes back."""
