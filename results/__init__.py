"""What comes out: the cube's schema, shards, the consolidated cube, figures and the check of claims."""
