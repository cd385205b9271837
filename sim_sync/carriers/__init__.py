"""The carriers: how each one's API is asked, and how its records become SIMs. Knows neither the warehouse nor Dagster.

Three modules carry a page: `client` sends the request (over `http`, within `rate_limit`), `dialect` says what the
answer means, and `records` maps it to SIMs; `source` is where the step loop asks for it. A connector is one small file
of the building blocks `auth`, `logins`, `pagination`, `records` and `dialect`, listed in `registry`.
"""
