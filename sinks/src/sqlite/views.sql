-- For people with sqlite3. Ids and times as text, the state merged as the program merges it:
-- deleted, else released if it was quarantined and is, else final, else dead (a required processor gave up and nothing has overcome it), else open.
DROP VIEW IF EXISTS results;
DROP VIEW IF EXISTS documents;

CREATE VIEW documents AS
SELECT
  o.tenant AS tenant,
  lower(substr(hex(o.object_id), 1, 8) || '-' || substr(hex(o.object_id), 9, 4) || '-' || substr(hex(o.object_id), 13, 4) || '-' ||
        substr(hex(o.object_id), 17, 4) || '-' || substr(hex(o.object_id), 21)) AS object,
  o.bucket AS bucket,
  o.object_key AS key,
  o.version AS version,
  o.size AS size,
  CASE
    WHEN d.object_id IS NOT NULL THEN 'deleted'
    WHEN f.state = 'quarantined' AND rel.object_id IS NOT NULL THEN 'released'
    WHEN f.object_id IS NOT NULL THEN f.state
    WHEN EXISTS (
      SELECT 1 FROM results_by_doc r
      WHERE r.tenant = o.tenant AND r.object_id = o.object_id AND r.outcome = 'dead'
        AND EXISTS (SELECT 1 FROM json_each(o.plan, '$.required') p WHERE p.value = r.processor)
        AND NOT EXISTS (
          SELECT 1 FROM results_by_doc b
          WHERE b.tenant = r.tenant AND b.object_id = r.object_id AND b.processor = r.processor AND b.outcome <> 'dead')
    ) THEN 'dead'
    ELSE 'open'
  END AS state,
  f.verdict AS verdict,
  o.declared_type AS declared_type,
  (SELECT json_extract(r.details, '$.detected_type') FROM results_by_doc r
   WHERE r.tenant = o.tenant AND r.object_id = o.object_id AND r.outcome <> 'dead'
     AND json_extract(r.details, '$.detected_type') IS NOT NULL LIMIT 1) AS detected_type,
  o.etag AS etag,
  json_extract(f.sealed, '$.bucket') AS sealed_bucket,
  json_extract(f.sealed, '$.key') AS sealed_key,
  json_extract(f.sealed, '$.size') AS sealed_size,
  json_extract(f.sealed, '$.suite') AS suite,
  json_extract(f.sealed, '$.plaintext_sha256') AS sha256,
  strftime('%Y-%m-%dT%H:%M:%fZ', o.last_modified / 1000.0, 'unixepoch') AS last_modified,
  strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT min(e.stored_at) FROM object_events e
   WHERE e.tenant = o.tenant AND e.object_id = o.object_id) / 1000000.0, 'unixepoch') AS accepted_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', f.finished_at / 1000.0, 'unixepoch') AS finished_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', d.deleted_at / 1000.0, 'unixepoch') AS deleted_at,
  coalesce(des.reason, rel.reason) AS reason,
  o.trace_id AS trace_id
FROM objects o
LEFT JOIN object_finals f ON f.tenant = o.tenant AND f.object_id = o.object_id
LEFT JOIN object_deletions d ON d.tenant = o.tenant AND d.object_id = o.object_id
LEFT JOIN object_decisions rel ON rel.tenant = o.tenant AND rel.object_id = o.object_id AND rel.kind = 'release'
LEFT JOIN object_decisions des ON des.tenant = o.tenant AND des.object_id = o.object_id AND des.kind = 'destroy'
ORDER BY o.last_modified DESC;

CREATE VIEW results AS
SELECT
  r.tenant AS tenant,
  lower(substr(hex(r.object_id), 1, 8) || '-' || substr(hex(r.object_id), 9, 4) || '-' || substr(hex(r.object_id), 13, 4) || '-' ||
        substr(hex(r.object_id), 17, 4) || '-' || substr(hex(r.object_id), 21)) AS object,
  o.object_key AS key,
  r.processor AS processor,
  r.processor_version AS processor_version,
  r.outcome AS outcome,
  r.verdict AS verdict,
  r.findings_total AS findings_total,
  r.findings AS findings,
  r.details AS details,
  r.artefacts AS artefacts,
  r.error_code AS error_code,
  json_extract(r.error, '$.message') AS error,
  strftime('%Y-%m-%dT%H:%M:%fZ', r.started_at / 1000.0, 'unixepoch') AS started_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', r.finished_at / 1000.0, 'unixepoch') AS finished_at,
  r.trace_id AS trace_id
FROM results_by_doc r
LEFT JOIN objects o ON o.tenant = r.tenant AND o.object_id = r.object_id
ORDER BY r.finished_at DESC;
