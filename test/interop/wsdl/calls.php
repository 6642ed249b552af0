<?php
// PHP's SoapClient, in WSDL mode, calls every operation of a WSDL by its name alone.
// usage: calls.php WSDL-URL VERSION SAMPLES-DIR
declare(strict_types=1);

[, $url, $version, $samples] = $argv;
$client = new SoapClient($url, ['cache_wsdl' => WSDL_CACHE_NONE]);
foreach (['Annuaire', 'RocIdb', 'RocSim', 'RocClc', 'RocAnl'] as $name) {
    $service = $name === 'Annuaire' ? $name : $name . $version;
    $sample = json_decode(file_get_contents("$samples/$service.json"), true);
    $client->__soapCall($sample['operation'], [$sample['parameters']]);
}
