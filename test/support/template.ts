import pg from 'pg';
import { composeSql } from '../../infra/build/sql.ts';

/** Template database with every schema installed by {@link OWNER}. */
export const TEMPLATE = 'skytools_template';

/** The role that owns test databases: no superuser, may create roles, as the master user of a managed service. */
export const OWNER = 'skytools_owner';

/** Creates the owner and the template once per server. */
export async function installTemplate(superuserUrl: string): Promise<void> {
  const admin = new pg.Client({ connectionString: superuserUrl });
  await admin.connect();
  try {
    await admin.query(`create role ${OWNER} login createrole`);
    await admin.query(`create database ${TEMPLATE} owner ${OWNER}`);
  } finally {
    await admin.end();
  }
  const url = new URL(superuserUrl);
  url.username = OWNER;
  url.pathname = `/${TEMPLATE}`;
  const owner = new pg.Client({ connectionString: url.href });
  await owner.connect();
  try {
    await owner.query(`begin; ${composeSql()} commit;`);
  } finally {
    await owner.end();
  }
}
