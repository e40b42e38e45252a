"""What lives: one package for each kind of actor, all standing on `actors.runtime`."""
