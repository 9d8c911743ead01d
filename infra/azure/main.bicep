// Teamrun on Azure Functions: the storage account of runs and queues, the function app on the Flex
// Consumption plan, its identity, a key vault and logs. No key of the storage account is used.
//
//   az deployment group create --resource-group RG --template-file infra/azure/main.bicep

@description('The beginning of the names of all resources: a lower-case letter, then lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param name string = 'teamrun'

param location string = resourceGroup().location

@description('The version of Python: 3.11 to 3.13.')
param pythonVersion string = '3.12'

@description('Memory of each instance, in MB.')
@allowed([512, 2048, 4096])
param instanceMemory int = 2048

@description('Maximum number of instances. Each executes up to 24 messages at the same time.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('Days after which logs are deleted.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('The name of the key vault. A deleted vault holds its name for 90 days.')
@minLength(3)
@maxLength(24)
param vaultName string = take('${name}-${uniqueString(resourceGroup().id, name)}', 24)

@description('Whether to recover the deleted vault of that name, with its secrets.')
param recoverVault bool = false

@description('Variables whose values are secrets of the key vault, by name: { OPENAI_API_KEY: \'openai-api-key\' }.')
param secretVariables object = {}

@description('Further variables: { TEAMRUN_RETENTION_DAYS: \'90\' }. None of those that this file sets, below.')
param variables object = {}

// Names of storage accounts and queues may not have all characters of other names. A name that is
// invalid after this is refused by Azure before anything is created.
var prefix = toLower(replace(replace(name, '-', ''), '_', ''))
var suffix = uniqueString(resourceGroup().id, name)
var storageName = take('${prefix}${suffix}', 24)
var queueNames = ['interactive', 'batch', 'hooks', 'interactive-poison', 'batch-poison']
var packages = 'packages'

// Built-in roles: https://learn.microsoft.com/en-us/azure/role-based-access-control/built-in-roles
var storageRoles = {
  // The host keeps the locks of timers there, and this role is the least that it works with.
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
}
var vaultSecretsUser = '4633458b-17de-408a-b874-0445c86b69e6'
var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: storageName
  location: location
  kind: 'StorageV2'
  sku: { name: 'Standard_ZRS' }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

// Never add a rule that deletes by age: entry 0 of a waiting run would go first.
// TEAMRUN_RETENTION_DAYS deletes runs that have ended.
resource runs 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: 'runs'
}

resource packageContainer 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: packages
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = [
  for queue in queueNames: {
    parent: queueService
    name: '${prefix}-${queue}'
  }
]

resource storageAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in items(storageRoles): {
    scope: storage
    name: guid(storage.id, identity.id, role.value)
    properties: {
      principalId: identity.properties.principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
    }
  }
]

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {
  name: vaultName
  location: location
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    // A deleted vault cannot be purged, so its name is free after 90 days only: see `recoverVault`.
    createMode: recoverVault ? 'recover' : 'default'
    enableSoftDelete: true
    enablePurgeProtection: true
  }
}

resource vaultAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: vault
  name: guid(vault.id, identity.id, vaultSecretsUser)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', vaultSecretsUser)
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: logRetentionDays
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  kind: 'web'
  properties: {
    Application_Type: 'web'
    DisableLocalAuth: true
    WorkspaceResourceId: logs.id
  }
}

resource insightsAccess 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, identity.id, metricsPublisher)
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: '${name}-plan'
  location: location
  kind: 'functionapp'
  sku: { tier: 'FlexConsumption', name: 'FC1' }
  properties: { reserved: true }
}

var secretSettings = [
  for each in items(union({ TEAMRUN_API_KEYS: 'teamrun-api-keys' }, secretVariables)): {
    name: each.key
    value: '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${each.value})'
  }
]

var furtherSettings = [
  for each in items(variables): {
    name: each.key
    value: each.value
  }
]

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: '${name}-${suffix}'
  location: location
  kind: 'functionapp,linux'
  // Before it has its roles, the app could not read its package.
  dependsOn: [storageAccess, packageContainer, runs, queues]
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identity.id}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identity.id
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      appSettings: concat(furtherSettings, secretSettings, [
        { name: 'AzureWebJobsStorage__accountName', value: storage.name }
        { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
        { name: 'AzureWebJobsStorage__clientId', value: identity.properties.clientId }
        { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: insights.properties.ConnectionString }
        { name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', value: 'ClientId=${identity.properties.clientId};Authorization=AAD' }
        { name: 'AZURE_CLIENT_ID', value: identity.properties.clientId }
        { name: 'TEAMRUN_CONFIG', value: '/home/site/wwwroot/teamrun.yaml' }
        { name: 'TEAMRUN_STORE_URL', value: 'az://runs?account=${storage.name}' }
        { name: 'TEAMRUN_QUEUE_URL', value: 'azq://${prefix}?account=${storage.name}' }
      ])
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packages}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemory
        maximumInstanceCount: maximumInstances
      }
    }
  }

  resource noFtp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource noBasicAuthentication 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output appName string = app.name
output url string = 'https://${app.properties.defaultHostName}'
output vaultName string = vault.name
output storageName string = storage.name
output identityPrincipalId string = identity.properties.principalId
