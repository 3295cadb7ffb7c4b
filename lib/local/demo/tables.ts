import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { TriggerFormat, TriggerSpec } from '../../pgq/triggers.ts';

/** Types of which the change generator can make values. */
export type ValueType =
  | 'int4'
  | 'int8'
  | 'int2'
  | 'numeric'
  | 'float8'
  | 'float8[]'
  | 'text'
  | 'text[]'
  | 'date'
  | 'timestamptz'
  | 'bool'
  | 'jsonb';

export interface DemoColumn {
  name: string;
  type: ValueType;
  /** Part of the primary key. */
  key?: boolean;
  /** Expression over the file's row that gives the column's first value. */
  from: string;
}

/** One table of the demonstration, and the data set that fills it. */
export interface DemoTable {
  /** `schema.table`, unquoted. */
  name: string;
  columns: readonly DemoColumn[];
  /** How its changes are captured: as a table of the replicated set, or into the plain queue. */
  capture: { set: TriggerFormat } | { queue: Pick<TriggerSpec, 'format' | 'generated'> };
  /** Columns with an index of their own in the target. */
  indexed?: string;
  /** File in the data directory of vega-datasets. */
  file: string;
  /** The rows of a JSON file, as a FROM item over its text in $1; a CSV file's rows are in the table `file`. */
  rows?: string;
}

const column = (name: string, type: ValueType, from: string): DemoColumn => ({ name, type, from });
const key = (name: string, type: ValueType, from: string): DemoColumn => ({ name, type, from, key: true });

/** A member of a JSON object as text; JSON's null and an absent member are NULL. */
const member = (name: string, cast = '') => `(file.r ->> '${name}')${cast}`;
const property = (name: string, cast = '') => `(file.r -> 'properties' ->> '${name}')${cast}`;

const JSON_ROWS = 'json_array_elements($1::json) with ordinality as file (r, line)';

/**
 * Six tables of about 26,000 rows: keys of one and of three columns, integers, dates and text; times, numbers, arrays and
 * documents; NULLs; names with accents and names that have to be quoted. Five are a replicated set, whose events have each of
 * the three formats; the changes of the sixth go through a plain queue.
 */
export const DEMO_TABLES: readonly DemoTable[] = [
  {
    name: 'demo.movies',
    capture: { set: 'logutriga' },
    indexed: 'title',
    file: 'movies.json',
    rows: JSON_ROWS,
    columns: [
      key('id', 'int4', 'file.line::int4'),
      column('title', 'text', member('Title')),
      column('released', 'date', member('Release Date', '::date')),
      column('rating', 'text', member('MPAA Rating')),
      column('minutes', 'int2', member('Running Time min', '::int2')),
      column('distributor', 'text', member('Distributor')),
      column('genre', 'text', member('Major Genre')),
      column('director', 'text', member('Director')),
      column('budget', 'int8', member('Production Budget', '::int8')),
      column('worldwide_gross', 'int8', member('Worldwide Gross', '::int8')),
      column('imdb_rating', 'numeric', member('IMDB Rating', '::numeric')),
      column('imdb_votes', 'int4', member('IMDB Votes', '::int4')),
    ],
  },
  {
    name: 'demo.football',
    capture: { set: 'logutriga' },
    file: 'football.json',
    rows: JSON_ROWS,
    columns: [
      key('played', 'date', member('date', '::date')),
      key('home_team', 'text', member('home_team')),
      key('away_team', 'text', member('away_team')),
      column('division', 'text', member('division')),
      column('home_score', 'int2', member('home_score', '::int2')),
      column('away_score', 'int2', member('away_score', '::int2')),
    ],
  },
  {
    name: 'demo.earthquakes',
    capture: { set: 'jsontriga' },
    indexed: 'happened',
    file: 'earthquakes.json',
    rows: `json_array_elements($1::json -> 'features') with ordinality as file (r, line)`,
    columns: [
      key('code', 'text', `file.r ->> 'id'`),
      column('happened', 'timestamptz', `to_timestamp(${property('time', '::float8')} / 1000)`),
      column('place', 'text', property('place')),
      column('magnitude', 'numeric', property('mag', '::numeric')),
      column('felt', 'int4', property('felt', '::int4')),
      column('tsunami', 'bool', property('tsunami', '::int4::bool')),
      column(
        'position',
        'float8[]',
        `array(select json_array_elements_text(file.r -> 'geometry' -> 'coordinates')::float8)`,
      ),
      column('kinds', 'text[]', `string_to_array(trim(${property('types')}, ','), ',')`),
      column('properties', 'jsonb', `(file.r ->> 'properties')::jsonb`),
    ],
  },
  {
    name: 'demo.airports',
    capture: { set: 'sqltriga' },
    file: 'airports.csv',
    columns: [
      key('iata', 'text', 'file.iata'),
      column('name', 'text', 'file.name'),
      column('city', 'text', 'file.city'),
      column('state', 'text', 'file.state'),
      column('country', 'text', 'file.country'),
      column('latitude', 'float8', 'file.latitude::float8'),
      column('longitude', 'float8', 'file.longitude::float8'),
    ],
  },
  {
    name: 'demo.bird strikes',
    capture: { set: 'logutriga' },
    indexed: 'Airport Name',
    file: 'birdstrikes.csv',
    columns: [
      key('id', 'int8', 'file.line'),
      column('Airport Name', 'text', 'file."Airport Name"'),
      column('Aircraft', 'text', 'file."Aircraft Make Model"'),
      column('Flight Date', 'date', 'file."Flight Date"::date'),
      column('Operator', 'text', 'file."Aircraft Airline Operator"'),
      column('Phase of flight', 'text', 'file."Phase of flight"'),
      column('Species', 'text', 'file."Wildlife Species"'),
      column('Time of day', 'text', 'file."Time of day"'),
      column('Cost Total $', 'numeric', 'file."Cost Total $"::numeric'),
      column('Speed (knots)', 'int4', 'file."Speed IAS in knots"::int4'),
    ],
  },
  {
    name: 'demo.weather',
    capture: { queue: { format: 'logutriga', generated: 'statement' } },
    file: 'seattle-weather.csv',
    columns: [
      key('station', 'text', `'Seattle'`),
      key('day', 'date', 'file.date::date'),
      column('precipitation', 'numeric', 'file.precipitation::numeric'),
      column('highest', 'float8', 'file.temp_max::float8'),
      column('lowest', 'float8', 'file.temp_min::float8'),
      column('weather', 'text', 'file.weather'),
    ],
  },
];

/** The tables of the replicated set, in the order in which they join it. */
export const SET_TABLES = DEMO_TABLES.filter(({ capture }) => 'set' in capture);

/** The tables whose changes go through the plain queue. */
export const QUEUE_TABLES = DEMO_TABLES.filter(({ capture }) => 'queue' in capture);

export const keyColumns = (table: DemoTable): DemoColumn[] => table.columns.filter((each) => each.key);

/** The text of a data file, from the npm package vega-datasets. */
export function readDataFile(file: string): string {
  const entry = createRequire(import.meta.url).resolve('vega-datasets');
  return readFileSync(path.join(path.dirname(entry), '..', 'data', file), 'utf8');
}
