"""Who may do what: proving who asks, looking up what they may, and the one gate that every route passes."""
