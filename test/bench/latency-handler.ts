import type { Batch, HandlerContext } from '../../lib/pgq/index.ts';

/** The consumer of latency.bench.ts: notes when each event was here. */
export async function handleBatch(batch: Batch, { client }: HandlerContext): Promise<void> {
  const seen: string[] = [];
  for await (const event of batch.events()) seen.push(`${event.data} ${Date.now()}`);
  await client.query(
    'insert into seen select split_part(e, $2, 1)::float8, split_part(e, $2, 2)::float8 from unnest($1::text[]) e',
    [seen, ' '],
  );
}
