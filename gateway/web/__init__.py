"""The door for browsers, shops and programs that speak HTTP: webhooks, REST and pages."""
