# Every kind of consumer of the original's Python framework, each once through the same events:
#   pgq-clients.py SOURCE TARGET DIRECTORY     connect strings, and where configuration and state go
# Prints as JSON what each of them saw: data and retry count of each event.
import datetime
import json
import os
import sys

import pgq
import psycopg2

SOURCE, TARGET, DIRECTORY = sys.argv[1:]
seen = {}


def see(job, ev):
    seen.setdefault(job.job_name, []).append([ev.ev_data, ev.ev_retry])


class Retrying(pgq.Consumer):
    def process_event(self, db, ev):
        see(self, ev)
        if ev.ev_data == "again" and not ev.ev_retry:
            ev.tag_retry(0)


class Cooperating(pgq.CoopConsumer):
    process_event = Retrying.process_event


class Remote(pgq.RemoteConsumer):
    def process_remote_batch(self, db, batch_id, events, dst_db):
        for ev in events:
            see(self, ev)


class Serial(pgq.SerialConsumer):
    process_remote_batch = Remote.process_remote_batch


class Local(pgq.LocalConsumer):
    def process_local_event(self, db, batch_id, ev):
        see(self, ev)


JOBS = {
    "plain": (Retrying, ["db"], {}),
    "eager": (Retrying, ["db"], {"pgq_lazy_fetch": 0, "pgq_autocommit": 1}),
    "filtered": (Retrying, ["db"], {"table_filter": "public.t1, public.t2"}),
    "collecting": (Retrying, ["db"], {"pgq_batch_collect_events": 3, "pgq_batch_collect_interval": "1 hour", "pgq_keep_lag": "0"}),
    "member1": (Cooperating, ["db"], {"consumer_name": "coop", "subconsumer_name": "1", "subconsumer_timeout": "1 hour"}),
    "member2": (Cooperating, ["db"], {"consumer_name": "coop", "subconsumer_name": "2"}),
    "remote": (Remote, ["db", "target"], {}),
    "serial": (Serial, ["db", "target"], {}),
    "local": (Local, ["db"], {"local_tracking_file": os.path.join(DIRECTORY, "local.tick")}),
}


def run(name, *options):
    kind, databases, settings = JOBS[name]
    path = os.path.join(DIRECTORY, name + ".ini")
    with open(path, "w") as ini:
        ini.write("[%s]\njob_name = %s\ndb = %s\ntarget = %s\nqueue_name = q\nloop_delay = 0\n" % (name, name, SOURCE, TARGET))
        ini.writelines("%s = %s\n" % item for item in settings.items())
    try:
        kind(name, *databases, ["-q", *options, path]).start()
    except SystemExit as end:
        if end.code:
            raise


db = psycopg2.connect(SOURCE)
curs = db.cursor()


def call(sql):
    curs.execute(sql)
    db.commit()


call("select pgq.create_queue('q')")
call("update pgq.queue set queue_ticker_max_lag = '0', queue_ticker_idle_period = '0'")
for job in JOBS:
    run(job, "--register")

pgq.insert_event(curs, "q", "t", "one", "public.t1")
pgq.insert_event(curs, "q", "t", "again", "public.t3")
now = datetime.datetime.now(datetime.timezone.utc)
pgq.bulk_insert_events(curs, [[1000, now, "t", "bulk\t'\\", "public.t2"]], ["id", "time", "type", "data", "extra1"], "q")
db.commit()

for _ in range(3):
    call("select pgq.maint_retry_events()")
    call("select pgq.force_tick('q')")
    call("select pgq.ticker()")
    for job in JOBS:
        run(job)

run("serial", "--rewind")
run("local", "--reset")
for job in JOBS:
    run(job, "--unregister")
curs.execute("select consumer_name from pgq.get_consumer_info('q')")
print(json.dumps({"seen": seen, "left": [name for (name,) in curs.fetchall()]}))
