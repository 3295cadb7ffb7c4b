-- londiste._urldecode(i_data) -> setof (nr, name, value)
--
-- Elements of an urlencoded row or dictionary in their order: name alone is NULL, name= the empty
-- string. Bytes are in the encoding of the database.
create or replace function londiste._urldecode(
    in i_data text,
    out nr int8,
    out name text,
    out value text)
returns setof record
language sql
strict stable
as $$
    select e.nr, d.part[1], d.part[2]
      from string_to_table(i_data, '&') with ordinality e (element, nr)
      cross join lateral (
          select array_agg(p.decoded order by p.nr) as part
            from (select s.nr,
                         (select coalesce(convert_from(
                                     string_agg(case when m.piece[1] like '\%__'
                                                     then decode(substr(m.piece[1], 2), 'hex')
                                                     else convert_to(replace(m.piece[1], '+', ' '),
                                                                     getdatabaseencoding()) end,
                                                ''::bytea order by m.nr),
                                     getdatabaseencoding()), '')
                            from regexp_matches(s.text, '%[0-9a-fA-F]{2}|[^%]+|%', 'g')
                                 with ordinality m (piece, nr)) as decoded
                    from (values (1, split_part(e.element, '=', 1)),
                                 (2, substring(e.element from '=(.*)$'))) s (nr, text)
                   where s.text is not null
                 ) p
      ) d
     where e.element <> ''
$$;
