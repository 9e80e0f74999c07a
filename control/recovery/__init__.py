"""After a restore: what happened in the clouds between the backup and the restore, shown to persons and then taken over.

`look` asks the clouds, `rules` holds their own records against the restored rows (pure), `settle` makes the rows follow, `acceptance` is what
two administrators do.  Nothing here changes anything in a cloud.
"""
