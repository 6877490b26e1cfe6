"""Which Secrets apply to a Pod, the credentials they give, and the Secret made of a credential."""
