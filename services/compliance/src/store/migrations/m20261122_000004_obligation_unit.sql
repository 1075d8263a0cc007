-- For what units owe, by unit: a reorganisation names some hundred of them.
CREATE INDEX obligation_unit ON obligation (unit_id, regime, period);
