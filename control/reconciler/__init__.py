"""The reconciler: carries every resource towards what is wanted of it, one cloud call at a time, and looks at the clouds each minute.

Level-triggered: the row is the job.  `engine` leases rows and runs the threads, `job` decides what one step needs and opens its attempt,
`call` makes the one driver call, `conclusion` takes the answer into the database, `sweep` compares clouds and rows, `limits` keeps the
native limits.  Everything that a crash can interrupt lies between two transactions, and the next holder goes on from the row.
"""
