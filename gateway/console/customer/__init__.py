"""What does a customer see? Pages below `/my`, without account and script: asked, given, withdrawn, told."""
