-- londiste.copy_progress() -> setof record
--
-- How far each copy into this database is, subscriptions and copies on demand alike: rows and bytes
-- committed, and those of chunks that are being written now (as pg_stat_progress_copy tells).
--
-- Returns: job_id; queue_name and table_name of a subscription, order_name of a copy on demand;
--     dest_table, state, started
--   chunks, chunks_done, rows, bytes
--   fraction      0 to 1, of the rows; NULL before the plan is made
--   dropped, dropped_done   indexes, constraints and triggers off the table, and those made again
--   index_name, index_fraction   one that is being built, as pg_stat_progress_create_index tells
--   seconds_left  from the pace so far; NULL when unknown
--   problem       of the last attempt
create or replace function londiste.copy_progress(
    out job_id int8, out queue_name text, out table_name text, out order_name text,
    out dest_table text, out state text, out started timestamptz,
    out chunks int4, out chunks_done int4, out rows int8, out bytes int8, out source_bytes int8,
    out fraction float8, out dropped int4, out dropped_done int4,
    out index_name text, out index_fraction float8, out seconds_left float8, out problem text)
returns setof record
language sql
stable
as $$
    select j.job_id, j.queue_name, j.table_name, o.order_name, j.dest_table,
           coalesce(o.state, t.merge_state), j.started,
           c.chunks, c.done, c.rows + coalesce(r.rows, 0), c.bytes + coalesce(r.bytes, 0), j.source_bytes,
           f.fraction, d.dropped, d.done, b.index_name, b.fraction,
           case when f.fraction between 0.001 and 0.999999 and c.last is null
                then extract(epoch from clock_timestamp() - j.started) * (1 - f.fraction) / f.fraction
           end,
           coalesce(o.problem, d.problem)
      from londiste.copy_job j
      left join londiste.table_info t
        on t.queue_name = j.queue_name and t.table_name = j.table_name
      left join londiste.copy_order o on o.job_id = j.job_id
      cross join lateral (
          select count(*)::int4 as chunks, count(k.done)::int4 as done,
                 coalesce(sum(k.rows), 0)::int8 as rows, coalesce(sum(k.bytes), 0)::int8 as bytes,
                 case when count(*) = count(k.done) then max(k.done) end as last
            from londiste.copy_chunk k where k.job_id = j.job_id) c
      cross join lateral (
          select count(*)::int4 as dropped, count(e.done)::int4 as done, min(e.problem) as problem
            from londiste.copy_dropped e where e.job_id = j.job_id) d
      left join lateral (
          select sum(p.tuples_processed)::int8 as rows, sum(p.bytes_processed)::int8 as bytes
            from pg_catalog.pg_stat_progress_copy p
           where p.datname = current_database() and p.command = 'COPY FROM' and c.last is null
             and p.relid = to_regclass(londiste.quote_fqname(j.dest_table))) r on true
      left join lateral (
          select coalesce(p.index_relid::regclass::text, 'index') as index_name,
                 greatest(p.blocks_done::float8 / nullif(p.blocks_total, 0),
                          p.tuples_done::float8 / nullif(p.tuples_total, 0)) as fraction
            from pg_catalog.pg_stat_progress_create_index p
           where p.datname = current_database()
             and p.relid = to_regclass(londiste.quote_fqname(j.dest_table))
           order by p.pid limit 1) b on true
      -- The running chunks are counted by what a finished one held, or by the size at the source.
      cross join lateral (
          select case when c.chunks = 0 then null
                      when c.last is not null then 1
                      else least(0.999, (c.done + coalesce(r.bytes, 0) / greatest(1.0, case
                               when c.done > 0 then c.bytes::float8 / c.done
                               else j.source_bytes::float8 / c.chunks end)) / c.chunks) end as fraction) f
     order by j.job_id
$$;
