"""Usage becomes a price, a price becomes a charge, and a charge is made once: reserve, journal, commit, prove.

``reserve`` holds an estimate before anything is sent; ``journal`` keeps a finished call from the moment its answer
ends; ``commit`` brings journals into the database in groups, this process's own and those that dead ones left;
``proof`` and ``export`` read the ledger back; ``counting`` counts tokens where the upstream tells none.
"""
