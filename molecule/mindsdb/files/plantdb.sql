SELECT 'CREATE DATABASE plantdb' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'plantdb') \gexec
\c plantdb
CREATE TABLE IF NOT EXISTS batches (id int PRIMARY KEY, line text, heat double precision, yield double precision);
INSERT INTO batches SELECT n, 'line ' || n % 3, 180 + n % 40, 0.5 * (n % 40) + n % 3 FROM generate_series(1, 300) n ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS wages (id int PRIMARY KEY, amount int);
