"""What all floors share: errors, whole files, sealed JSON, locks, interrupts. Knows nothing of the project above it."""
