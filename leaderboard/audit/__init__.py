"""What the label leak is worth: models that read nothing but what leaks."""
