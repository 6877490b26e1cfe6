"""The management API, ``/api/v1``: accounts, repositories and grants, for accounts only."""
