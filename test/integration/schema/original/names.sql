-- Names and columns.

create schema "S c"; create table a (id int primary key); create table b (id int primary key, v int, w int); create table "S c".c (id int)
select londiste.make_fqname(null), londiste.quote_fqname(null)
select londiste.make_fqname(''), londiste.make_fqname('.'), londiste.make_fqname('a.'), londiste.make_fqname('.a'), londiste.make_fqname('"a"."b"')
select londiste.quote_fqname(''), londiste.quote_fqname('.'), londiste.quote_fqname('a.'), londiste.quote_fqname('.a'), londiste.quote_fqname('A.b.c'), londiste.quote_fqname('order'), londiste.quote_fqname('1a._b$')
select * from londiste.split_fqname('')
select * from londiste.split_fqname('.')
select * from londiste.split_fqname('.a')
select * from londiste.split_fqname('a.')
select * from londiste.split_fqname(null)
select londiste.find_rel_oid('a', 'r')::regclass, londiste.find_rel_oid('a', 'S'), londiste.find_rel_oid(null, 'r'), londiste.find_rel_oid('pg_catalog.pg_class', 'r')::regclass, londiste.find_rel_oid('pg_class', 'r')
-- take over
select londiste.find_rel_oid('a', 'i')
select londiste.find_rel_oid('a', 'rel')
select londiste.find_table_oid('S c.c')::regclass, londiste.find_seq_oid('a'), londiste.find_table_oid('"S c".c')
create table ct (a int, b int, "C" text, d int, primary key (d, "C")); alter table ct drop column b
-- better: a key is known by its columns, wherever they stand
select londiste.find_column_types('ct')
select londiste.find_column_types('nope'), londiste.find_column_types(null), londiste.find_column_types('b'), londiste.find_column_types('S c.c')
select londiste.is_replica_func('pgq.sqltriga'::regproc), londiste.is_replica_func('pgq.jsontriga'::regproc), londiste.is_replica_func(0), londiste.is_replica_func(null)
