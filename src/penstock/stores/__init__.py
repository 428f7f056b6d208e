"""What keeps data: the lake, the warehouse, time series. Each of them commits rows and position together."""
