# A consumer written with the original's Python framework: stores the id and data of each event in the source database.
import sys
import pgq


class Recorder(pgq.Consumer):
    def process_event(self, db, ev):
        db.cursor().execute("insert into seen (ev_id, ev_data) values (%s, %s)", [ev.ev_id, ev.ev_data])


Recorder("recorder", "source_db", sys.argv[1:]).start()
