/**
 * One call with 10,000 events: `pgq.insert_events` beside the C extension's `insert_event` over generate_series, on one
 * server (Debian's PostgreSQL 15 with postgresql-15-pgq3), interleaved. Events without and with two extra fields.
 *
 *   node test/bench/bulk-insert.bench.ts [rounds]
 */
import { median, startComparison, timed } from '../support/bench.ts';

const rounds = Number(process.argv[2] ?? 15);
const EVENTS = 10_000;
const GOAL = 3;
const DATA = 'id=1234&name=customer+1234&city=K%c3%b6ln&amount=99.25&note';

const comparison = await startComparison({ settings: { max_wal_size: '4GB' } });
try {
  const { c, ours } = comparison;
  for (const client of [c, ours]) await client.query("select pgq.create_queue('q')");
  const bulk = (extras: string) => () =>
    ours.query(
      `select pgq.insert_events('q', array_agg(text 'U:id'), array_agg('${DATA}' || i)${extras}) from generate_series(1, ${EVENTS}) i`,
    );
  const kinds = {
    'type and data': {
      classic: () =>
        c.query(
          `select count(pgq.insert_event('q', 'U:id', '${DATA}' || i)) from generate_series(1, ${EVENTS}) i`,
        ),
      bulk: bulk(''),
    },
    'with two extra fields': {
      classic: () =>
        c.query(
          `select count(pgq.insert_event('q', 'U:id', '${DATA}' || i, 'public.customer', 'public.customer', null, null))
             from generate_series(1, ${EVENTS}) i`,
        ),
      bulk: bulk(", array_agg(text 'public.customer'), array_agg(text 'public.customer')"),
    },
  };
  console.log(`one call with ${EVENTS} events, median of ${rounds} rounds`);
  for (const [name, { classic, bulk }] of Object.entries(kinds)) {
    const times = { classic: [] as number[], bulk: [] as number[] };
    for (let round = -2; round < rounds; round++) {
      const pair = { classic: await timed(classic), bulk: await timed(bulk) };
      // the first rounds extend the table's file
      if (round >= 0) for (const key of ['classic', 'bulk'] as const) times[key].push(pair[key]);
      for (const client of [c, ours]) await client.query('truncate pgq.event_1_0');
    }
    const rate = (values: number[]) => Math.round((EVENTS / median(values)) * 1000);
    const ratio = median(times.classic.map((time, i) => time / times.bulk[i]!));
    console.log(
      `${name}: insert_event (C) ${rate(times.classic)}/s  insert_events ${rate(times.bulk)}/s  ratio ${ratio.toFixed(2)} (goal ${GOAL}${ratio >= GOAL ? '' : ', MISSED'})`,
    );
  }
} finally {
  await comparison.stop();
}
