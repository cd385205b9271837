"""The carriers: how each one's API is asked, and how its records become SIMs. Knows neither the warehouse nor Dagster.

Building blocks: `auth`, `logins`, `pagination`, `records`, `dialect`. A connector is one small file of them, listed in
`registry`; `source` puts one together with the settings of an account, and asks through `desk`, `throttle` and `http`.
"""
