"""Runs migrations on the connection that `actors.runtime.migrations.upgrade` hands over."""

from actors.runtime import migrations

migrations.run()
