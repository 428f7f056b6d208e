"""What brings data in and out: HTTP, files, SQL, changes of a database, Kafka."""
