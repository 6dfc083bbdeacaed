"""Teams: who belongs to one, what each may, their keys, projects, tags, caps, and the wallet that they share."""
