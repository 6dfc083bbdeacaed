"""Who may change what: kinds that are root's (``kinds``), and what a second person has to look at (``approval``)."""
