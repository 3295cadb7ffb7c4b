-- One node's life, from nothing to nothing: membership, a root with subscribers, its demotion and promotion.

-- Locations; arguments that are NULL.
select * from pgq_node.register_location(null, 'n1', 'x', false)
select * from pgq_node.register_location('q', null, 'x', false)
select * from pgq_node.register_location('q', 'n1', 'x', null)
select * from pgq_node.register_location('q', 'n1', 'x', false)
select * from pgq_node.register_location('q', 'n1', 'x', null)
select * from pgq_node.register_location('q', 'n1', null, null)
select * from pgq_node.register_location('q', 'n1', null, true)
select * from pgq_node.register_location('q', 'n1', 'y', false)
select * from pgq_node.register_location('q', 'n2', null, true)
-- better: the note is never NULL
select * from pgq_node.unregister_location(null, null)
-- better: the note is never NULL
select * from pgq_node.unregister_location('q', null)
select * from pgq_node.get_queue_locations(null)

-- What create_node refuses.
-- better: a code, where the original runs into a constraint
select * from pgq_node.create_node(null, null, null, null, null, null, null)
-- better: a code, where the original runs into a constraint
select * from pgq_node.create_node('q', null, 'n1', 'w', null, null, null)
select * from pgq_node.create_node('q', 'root', null, 'w', null, null, null)
select * from pgq_node.create_node('q', 'root', 'n1', null, null, null, null)
select * from pgq_node.create_node('q', 'root', 'n7', 'w', null, null, null)
select * from pgq_node.create_node('q', 'root', 'n1', 'w', 'n1', null, null)
select * from pgq_node.create_node('q', 'root', 'n1', 'w', null, null, 'q')
select * from pgq_node.create_node('q', 'branch', 'n1', 'w', 'n9', 1, null)
select * from pgq_node.create_node('q', 'branch', 'n1', 'w', 'n1', 1, 'x')
select * from pgq_node.create_node('q', 'leaf', 'n1', 'w', null, null, null)
select * from pgq_node.create_node('q', 'leaf', 'n1', 'w', 'n9', 1, null)
select * from pgq_node.create_node('q', 'leaf', 'n1', 'w', 'n1', null, null)
-- better: a code, where the original runs into a constraint
select * from pgq_node.create_node('q', 'Root', 'n1', 'w', null, null, null)

-- No node yet.
-- better: the note is never NULL
select * from pgq_node.get_node_info(null)
-- better: the note is never NULL
select * from pgq_node.get_worker_state(null)
select * from pgq_node.get_worker_state('nope')
-- better: the note is never NULL
select * from pgq_node.get_consumer_state(null, null)
select * from pgq_node.get_consumer_info(null)
select * from pgq_node.get_subscriber_info(null)
select pgq_node.is_root_node(null)
select pgq_node.is_leaf_node(null)
select * from pgq_node.set_node_attrs(null, null)
-- better: the note is never NULL
select * from pgq_node.register_subscriber(null, null, null, null)
select * from pgq_node.unregister_subscriber(null, null)
-- better: the note is never NULL
select * from pgq_node.set_subscriber_watermark(null, null, null)
-- better: the note is never NULL
select * from pgq_node.register_consumer(null, null, null, null)
-- better: the note is never NULL
select * from pgq_node.unregister_consumer(null, null)
-- better: the note is never NULL
select * from pgq_node.change_consumer_provider(null, null, null)
-- better: the note is never NULL
select * from pgq_node.set_consumer_uptodate(null, null, null)
-- better: the note is never NULL
select * from pgq_node.set_consumer_paused(null, null, null)
-- better: the note is never NULL
select * from pgq_node.set_consumer_completed(null, null, null)
-- better: the note is never NULL
select * from pgq_node.set_consumer_error(null, null, null)
select * from pgq_node.set_consumer_error('q', 'c', null)
-- better: the note is never NULL
select * from pgq_node.set_global_watermark(null, null)
select * from pgq_node.set_partition_watermark(null, null, null)
select * from pgq_node.maint_watermark(null)
-- better: the note is never NULL
select * from pgq_node.demote_root(null, null, null)
-- better: the note is never NULL
select * from pgq_node.promote_branch(null)
-- better: the note is never NULL
select * from pgq_node.drop_node(null, null)
-- better: the note is never NULL
select * from pgq_node.drop_node('q', null)
select * from pgq_node.upgrade_schema()

-- A root.
select * from pgq_node.register_location('q', 'n1', 'x', false)
select * from pgq_node.register_location('q', 'n2', 'y', false)
select * from pgq_node.register_location('q', 'n3', 'z', false)
select * from pgq_node.create_node('q', 'root', 'n1', 'w1', null, null, null)
select * from pgq_node.register_location('q', 'n3', 'zz', true)
select * from pgq_node.register_location('q', 'n3', null, false)

-- Subscribers and watermarks.
select * from pgq_node.register_subscriber('q', 'n2', 'w2', null)
-- better: may be repeated
select * from pgq_node.register_subscriber('q', 'n2', 'w2', null)
-- better: a code, where the original runs into a key
select * from pgq_node.register_subscriber('q', 'n2', 'w2x', null)
-- better: a code, where the original raises
select * from pgq_node.register_subscriber('q', 'n3', 'w3', 99)
select * from pgq_node.register_subscriber('q', 'n3', null, null)
select * from pgq_node.register_subscriber('q', 'n8', 'w8', null)
select * from pgq_node.register_subscriber('q', 'n3', 'w2', 1)
select * from pgq_node.get_subscriber_info('q')
select pgq.force_tick('q'), pgq.force_tick('q'), pgq.ticker('q')
select pgq.ticker('q')
select pgq.force_tick('q'), pgq.force_tick('q'), pgq.ticker('q')
select * from pgq_node.get_node_info('q')
select * from pgq_node.get_worker_state('q')
-- better: the note is never NULL
select * from pgq_node.set_subscriber_watermark('q', 'n2', null)
select * from pgq_node.set_subscriber_watermark('q', 'n2', 2)
select * from pgq_node.set_subscriber_watermark('q', 'n2', 77)
select * from pgq_node.set_subscriber_watermark('nope', 'n2', 2)
-- better: a code, where the original runs into a constraint
select * from pgq_node.set_subscriber_watermark('q', null, 2)
select * from pgq_node.set_global_watermark('q', 77)
select * from pgq_node.set_global_watermark('q', 2)
select * from pgq_node.set_global_watermark('q', 1)
select * from pgq_node.set_global_watermark('q', null)
select pgq.register_consumer_at('q', 'w2', 3)
select * from pgq_node.set_global_watermark('q', null)
select * from pgq_node.get_node_info('q')
select * from pgq_node.get_worker_state('q')
select pgq_node.maint_watermark('q')
select pgq_node.maint_watermark('nope')

-- Cascaded consumers.
select * from pgq_node.register_consumer('q', 'c1', 'nope', 1)
select * from pgq_node.register_consumer('q', 'c1', null, 1)
select * from pgq_node.register_consumer('q', 'c1', 'n1', null)
select * from pgq_node.register_consumer('q', null, 'n1', 1)
select * from pgq_node.register_consumer('q', 'c1', 'n1', 1)
select * from pgq_node.register_consumer('q', 'c1', 'nope', 1)
select * from pgq_node.register_consumer('q', 'c1', 'n2', null)
select * from pgq_node.set_consumer_uptodate('q', 'c1', null)
select * from pgq_node.set_consumer_uptodate('q', 'c1', true)
select * from pgq_node.set_consumer_uptodate('q', 'c1', false)
select * from pgq_node.set_consumer_uptodate('q', 'c1', true)
select * from pgq_node.set_consumer_paused('q', 'c1', null)
select * from pgq_node.set_consumer_paused('q', 'c1', false)
select * from pgq_node.set_consumer_paused('q', 'c1', true)
select * from pgq_node.set_consumer_completed('q', 'c1', null)
select * from pgq_node.set_consumer_error('q', 'c1', 'some % error %s')
select * from pgq_node.set_consumer_error('q', 'c1', null)
select * from pgq_node.set_consumer_error('q', 'c1', '')
select * from pgq_node.set_consumer_completed('q', 'c1', -4)
-- better: the note is never NULL
select * from pgq_node.change_consumer_provider('q', 'c1', null)
select * from pgq_node.change_consumer_provider('q', 'nope', 'n2')
select * from pgq_node.change_consumer_provider('nope', 'c1', 'n2')
select * from pgq_node.change_consumer_provider('q', 'c1', 'n1')
select * from pgq_node.get_consumer_info('q')
select * from pgq_node.get_consumer_state('q', 'c1')
-- better: the note is never NULL
select * from pgq_node.get_consumer_state('q', null)
-- better: the note is never NULL
select * from pgq_node.unregister_consumer('q', null)
select * from pgq_node.unregister_consumer('q', 'nope')
select * from pgq_node.unregister_consumer('q', 'c1')
select * from pgq_node.unregister_location('q', 'n2')
select * from pgq_node.unregister_location('q', 'n1')
select * from pgq_node.set_partition_watermark('q', 'q', 2)
select * from pgq_node.demote_root('q', null, null)

-- take over
-- Demotion, step by step and out of step, and promotion.
select * from pgq_node.demote_root('q', 1, null)
select * from pgq_node.demote_root('q', null, null)
select * from pgq_node.demote_root('q', 3, 'nope')
select * from pgq_node.demote_root('q', 3, null)
select * from pgq_node.demote_root('q', 9, 'n3')
select * from pgq_node.demote_root('q', 2, 'n3')
select pgq.insert_event('q', 'a', 'b') > 0
select * from pgq_node.demote_root('q', 2, null)
select * from pgq_node.demote_root('q', 1, null)
select * from pgq_node.demote_root('q', 3, 'n3')
select pgq.insert_event('q', 'a', 'b') > 0
select * from pgq_node.get_node_info('q')
select * from pgq_node.get_worker_state('q')
select * from pgq_node.unregister_location('q', 'n3')
select * from pgq_node.drop_node('q', 'n3')
select * from pgq_node.set_global_watermark('q', null)
select * from pgq_node.set_global_watermark('q', 3)
select * from pgq_node.set_global_watermark('q', 1)
select pgq.ticker('q')
select pgq.force_tick('q')
select * from pgq_node.promote_branch('q')
select pgq.insert_event('q', 'a', 'b') > 0
select pgq.ticker('q')
select * from pgq_node.get_node_info('q')

-- The end.
select * from pgq_node.drop_node('q', 'n1')
select * from pgq_node.drop_node('q', 'n1')
select * from pgq_node.drop_node('q', 'n3')
