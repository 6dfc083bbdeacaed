"""Releases: documents are compiled and published by one process, stored by their hash, and taken up by every worker.

``watch`` is that process and ``build`` one compile of it, ``store`` the directory, ``follow`` a worker's side. Only the
watcher's process imports ``build``: no worker carries the compiler.

Documents come from the shipped set, the operator's directory, Git and the console; those of the last two lie in the
database (``engine.storage.releases``). The services over them are plain functions. For workers, without the compiler:

    documents.listed(db) -> (number, [StoredDocument]); .one(db, kind, name); .at(db, number); .newest(db) -> [Release]
    history.revisions(db, kind, name) -> [Revision]; .blame(db, kind, name) -> [BlamedLine]
    history.diff(db, a, b) -> [Difference]
    storage.releases.drafts.create(db, name, base, author, changes) -> Draft; .save; .one; .listed; .drop
    drafts.put(draft, change) -> Draft; .rebase(db, draft) -> Rebased(draft, both)
    machines.listed(db) -> [Machine]
    reading.status(db), .releases(db), .release(db, n), .diff, .listed, .one, .revisions, .blame: the same as plain data
    desk.Desk(program_directory).ask(what, **values) -> dict: check, plan, publish, apply, rollback (``doings``)

With the compiler, in the command line and in the watcher:

    changes.of_text(text, owner, place) -> ([StoredDocument], [Fault]); .of_directory(directory, owner)
    publishing.ground(db, directories) -> Ground
    checking.check(ground, changes) -> Check(ok, faults, documents, tests)
    planning.plan(ground, changes, rows) -> Plan(documents, models, prices, routes, aliases, policies, effects)
    publishing.publish(db, ground, changes, author, message=, source=) -> (number or 0, Check)
    publishing.rollback(db, directories, number, author) -> number
    publishing.wait(db, number, seconds) -> [Machine]

A change is a ``StoredDocument``; without a text it takes the document away. Refusals are ``Conflict`` (another release
came first), ``Forbidden`` (a kind that is root's), ``NotFound``; faults of documents are told as ``Fault``.
"""
