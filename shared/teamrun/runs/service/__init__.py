"""What clients ask and are told."""
