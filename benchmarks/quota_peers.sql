-- The quota of the peers: one row a tenant with a column for each of six resources, which is their fastest form (govpool has a row a resource).
-- A city (0), 10 bureaus (1..10), 100 departments (100..199); everybody may overbook, nothing in it is ever refused.
CREATE TABLE node (
    id integer PRIMARY KEY, parent integer, version bigint NOT NULL DEFAULT 0,
    cpu bigint NOT NULL DEFAULT 0, ram bigint NOT NULL DEFAULT 0, disk bigint NOT NULL DEFAULT 0,
    machines bigint NOT NULL DEFAULT 0, addresses bigint NOT NULL DEFAULT 0, gpus bigint NOT NULL DEFAULT 0,
    most bigint NOT NULL,
    CHECK (greatest(cpu, ram, disk, machines, addresses, gpus) <= most)
) WITH (fillfactor = 20);
CREATE TABLE taken (
    id bigserial PRIMARY KEY, node integer NOT NULL,
    cpu bigint, ram bigint, disk bigint, machines bigint, addresses bigint, gpus bigint
);
INSERT INTO node (id, parent, most) SELECT 0, NULL, 1000000000000000;
INSERT INTO node (id, parent, most) SELECT n, 0, 1000000000000000 FROM generate_series(1, 10) n;
INSERT INTO node (id, parent, most) SELECT 100 + n, 1 + n % 10, 1000000000000000 FROM generate_series(0, 99) n;
ANALYZE;

-- Conditional update: each level says yes or no in one statement, leaf to root, all in one round trip.
CREATE FUNCTION take(leaf integer, c bigint, r bigint, d bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    here integer := leaf;
    above integer;
    made bigint;
BEGIN
    WHILE here IS NOT NULL LOOP
        UPDATE node SET cpu = cpu + c, ram = ram + r, disk = disk + d, machines = machines + 1, addresses = addresses + 1, gpus = gpus + 1
        WHERE id = here AND cpu + c <= most AND ram + r <= most AND disk + d <= most AND machines < most AND addresses < most AND gpus < most
        RETURNING parent INTO above;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no quota at %', here;
        END IF;
        here := above;
    END LOOP;
    INSERT INTO taken (node, cpu, ram, disk, machines, addresses, gpus) VALUES (leaf, c, r, d, 1, 1, 1) RETURNING id INTO made;
    RETURN made;
END $$;

-- Compare and swap: each level is written only if it has not moved since it was read; else the client reads again (pgbench repeats on this code).
CREATE FUNCTION swap(leaf integer, bureau integer, seen bigint[], c bigint, r bigint, d bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    path integer[] := ARRAY[leaf, bureau, 0];
BEGIN
    FOR level IN 1..3 LOOP
        UPDATE node SET cpu = cpu + c, ram = ram + r, disk = disk + d, machines = machines + 1, addresses = addresses + 1, gpus = gpus + 1,
            version = version + 1
        WHERE id = path[level] AND version = seen[level];
        IF NOT FOUND THEN
            RAISE EXCEPTION 'moved' USING ERRCODE = 'serialization_failure';
        END IF;
    END LOOP;
    INSERT INTO taken (node, cpu, ram, disk, machines, addresses, gpus) VALUES (leaf, c, r, d, 1, 1, 1);
END $$;
