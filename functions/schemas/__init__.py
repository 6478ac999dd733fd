"""Every request, query and reply of the API, once.

Validation (api/parsing.py), rendering (api/endpoint.py) and the OpenAPI document (api/openapi.py) come from these
models: the limits, the description and the example of a field are on the field and nowhere else.
"""
